-- anetcon: the session records of a fleet in ClickHouse. docs/fleet.md tells the steps.
--
-- Run once:   clickhouse-client --multiquery < clickhouse.sql
-- Load:       INSERT INTO anetcon.incoming FORMAT LineAsString, followed by the lines of anetcon.sessions.ndjson as they are
-- Ask:        anetconctl who 203.0.113.7:41022 --clickhouse http://clickhouse.example:8123, or who.sql
--
-- The server has to be of 2022 or later; 26.9 is what was tried. Addresses are IPv6 columns, in which IPv4 stands as ::ffff:203.0.113.7.
-- How long records may or must be kept is a question of law, not of disk space: the two TTL clauses answer it, with 100 days as
-- the shipped rotation does. A record that comes twice is kept once, some time later (ReplacingMergeTree).

CREATE DATABASE IF NOT EXISTS anetcon;

-- One row for each line. The order is that of the question: the address that the world saw, its port, then.
CREATE TABLE IF NOT EXISTS anetcon.sessions
(
    time                 DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    outside_ip           IPv6,
    outside_port         UInt16,
    source_ip            Nullable(IPv6),
    source_port          Nullable(UInt16),
    source_nat_ip        Nullable(IPv6),
    source_nat_port      Nullable(UInt16),
    destination_ip       Nullable(IPv6),
    destination_port     Nullable(UInt16),
    destination_nat_ip   Nullable(IPv6),
    destination_nat_port Nullable(UInt16),
    transport            LowCardinality(String),
    action               LowCardinality(String),
    kind                 LowCardinality(String),
    host                 LowCardinality(String),
    namespace            LowCardinality(String),
    community_id         String,
    outside_community_id String,
    run                  LowCardinality(String),
    seq                  UInt64 CODEC(Delta, ZSTD),
    record               String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(time)
ORDER BY (outside_ip, outside_port, time, run, seq)
TTL toDateTime(time) + INTERVAL 100 DAY;

-- One row for each address of a record, up to four: finds what is asked by an inside or remote address, too.
CREATE TABLE IF NOT EXISTS anetcon.addresses
(
    ip           IPv6,
    port         UInt16,
    time         DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD),
    outside_ip   IPv6,
    outside_port UInt16
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(time)
ORDER BY (ip, port, time, outside_ip, outside_port)
TTL toDateTime(time) + INTERVAL 100 DAY;

-- Takes lines, keeps none: the views below do.
CREATE TABLE IF NOT EXISTS anetcon.incoming (record String) ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS anetcon.incoming_sessions TO anetcon.sessions AS
SELECT
    parseDateTime64BestEffort(JSONExtractString(record, '@timestamp'), 6, 'UTC') AS time,
    -- What the world saw: the translated source, else the floating address that was dialled, else who opened it.
    coalesce(source_nat_ip, if(destination_nat_ip IS NULL, NULL, destination_ip), source_ip, destination_ip, toIPv6('::')) AS outside_ip,
    ifNull(multiIf(source_nat_ip IS NOT NULL, source_nat_port,
                   destination_nat_ip IS NOT NULL AND destination_ip IS NOT NULL, destination_port,
                   source_ip IS NOT NULL, source_port, destination_port), 0) AS outside_port,
    toIPv6OrNull(JSONExtractString(record, 'source', 'ip')) AS source_ip,
    JSONExtract(record, 'source', 'port', 'Nullable(UInt16)') AS source_port,
    toIPv6OrNull(JSONExtractString(record, 'source', 'nat', 'ip')) AS source_nat_ip,
    JSONExtract(record, 'source', 'nat', 'port', 'Nullable(UInt16)') AS source_nat_port,
    toIPv6OrNull(JSONExtractString(record, 'destination', 'ip')) AS destination_ip,
    JSONExtract(record, 'destination', 'port', 'Nullable(UInt16)') AS destination_port,
    toIPv6OrNull(JSONExtractString(record, 'destination', 'nat', 'ip')) AS destination_nat_ip,
    JSONExtract(record, 'destination', 'nat', 'port', 'Nullable(UInt16)') AS destination_nat_port,
    JSONExtractString(record, 'network', 'transport') AS transport,
    JSONExtractString(record, 'event', 'action') AS action,
    JSONExtractString(record, 'anetcon', 'kind') AS kind,
    JSONExtractString(record, 'observer', 'hostname') AS host,
    JSONExtractString(record, 'anetcon', 'namespace') AS namespace,
    JSONExtractString(record, 'network', 'community_id') AS community_id,
    JSONExtractString(record, 'anetcon', 'outside_community_id') AS outside_community_id,
    JSONExtractString(record, 'agent', 'ephemeral_id') AS run,
    JSONExtractUInt(record, 'anetcon', 'seq') AS seq,
    record
FROM anetcon.incoming;

CREATE MATERIALIZED VIEW IF NOT EXISTS anetcon.sessions_addresses TO anetcon.addresses AS
SELECT assumeNotNull(end.1) AS ip, ifNull(end.2, 0) AS port, time, outside_ip, outside_port
FROM anetcon.sessions
ARRAY JOIN arrayDistinct(arrayFilter(end -> end.1 IS NOT NULL,
    [(source_ip, source_port), (source_nat_ip, source_nat_port),
     (destination_ip, destination_port), (destination_nat_ip, destination_nat_port)])) AS end;
