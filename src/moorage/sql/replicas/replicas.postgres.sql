-- What load balancing asks of PostgreSQL. Positions in its log are numbers of bytes.
-- The first eight digits of a log file's name are its timeline.

-- primary_position --
SELECT pg_wal_lsn_diff(lsn, '0/0')::bigint, ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int
FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() END AS lsn) AS here

-- primary_state --
-- Between records the position may stand behind the header of a page that nothing was written to yet (24 bytes, 40 at
-- the beginning of a file), where an idle primary stays, and which no standby reaches. The page's beginning says the same.
SELECT
    pg_wal_lsn_diff(lsn, '0/0')::bigint - CASE
        WHEN pg_wal_lsn_diff(lsn, '0/0') % pg_size_bytes(current_setting('wal_segment_size')) = 40 THEN 40
        WHEN pg_wal_lsn_diff(lsn, '0/0') % current_setting('wal_block_size')::bigint = 24 THEN 24
        ELSE 0
    END,
    ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int,
    (SELECT system_identifier FROM pg_control_system())
FROM (SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn() END AS lsn) AS here

-- replica_position --
SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END

-- replica_state --
SELECT
    CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END,
    pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')::bigint,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8,
    (SELECT system_identifier FROM pg_control_system())
