-- anetcon: who had an address and port then? The question of `anetconctl who`, in SQL; best guesses first.
--
--   clickhouse-client --param_address=203.0.113.7 --param_port=41022 \
--     --param_from='2026-11-23 13:58:10' --param_to='2026-11-23 14:08:10' --queries-file who.sql
--
-- Times are UTC. Port 0 means any port.
SELECT time, host, namespace, action, transport,
       source_ip, source_port, source_nat_ip, source_nat_port,
       destination_ip, destination_port, destination_nat_ip, destination_nat_port
FROM anetcon.sessions FINAL
WHERE (outside_ip, outside_port, time) IN (
        SELECT outside_ip, outside_port, time
        FROM anetcon.addresses
        WHERE ip = toIPv6({address:String})
          AND ({port:UInt16} = 0 OR port = {port:UInt16})
          AND time >= toDateTime64({from:String}, 6, 'UTC')
          AND time <= toDateTime64({to:String}, 6, 'UTC'))
  AND time >= toDateTime64({from:String}, 6, 'UTC')
  AND time <= toDateTime64({to:String}, 6, 'UTC')
ORDER BY -- what the world saw, before what was inside, before the remote end
    multiIf(toIPv6({address:String}) = outside_ip AND {port:UInt16} IN (0, outside_port), 0,
            toIPv6({address:String}) IN (source_nat_ip, destination_ip) AND destination_nat_ip IS NOT NULL, 0,
            toIPv6({address:String}) = source_ip AND source_nat_ip IS NOT NULL
              OR toIPv6({address:String}) = destination_nat_ip, 1, 2),
    time DESC
LIMIT 20;
