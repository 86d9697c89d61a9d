-- anetcon: did every record arrive? Each run of an agent counts its records from 1 (anetcon.seq); a number that is missing between the
-- first and the last one here was lost on the way, or is on its way still. Records of one run that are older than what is kept are
-- not missed.
--
--   clickhouse-client --queries-file holes.sql
SELECT host, run, min(time) AS first, max(time) AS last,
       max(seq) - min(seq) + 1 - uniqExact(seq) AS missing
FROM anetcon.sessions
GROUP BY host, run
HAVING missing > 0
ORDER BY missing DESC;
