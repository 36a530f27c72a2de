-- The role by which Grafana reads: every table, no writing, no statement longer than half a minute. Made once, its password renewed each time.
--     READER_PASSWORD=… psql --no-psqlrc --file deploy/timescale/reader.sql "$TICKHOUSE_TIMESCALE_DSN"
-- Another name: --set role=NAME. Whoever runs it must be a superuser, or may create roles and hand on pg_read_all_data.
\set ON_ERROR_STOP on
\set QUIET on
\if :{?role}
\else
  \set role tickhouse_reader
\endif
\getenv password READER_PASSWORD
\if :{?password}
\else
  DO $$ BEGIN RAISE 'READER_PASSWORD is not set, expected the password of the role that reads'; END $$;
\endif
BEGIN;
-- Two at once would both find no role.
SELECT pg_advisory_xact_lock(hashtext('tickhouse reader')) \g /dev/null
SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
-- No statement log sees the password in the clear, as far as who runs this may say so.
SELECT format('SET LOCAL %s = %L', name, value) FROM (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1')) AS said (name, value)
WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) \gexec
SELECT format('ALTER ROLE %I PASSWORD %L CONNECTION LIMIT 20', :'role', :'password') \gexec
GRANT pg_read_all_data TO :"role";
ALTER ROLE :"role" SET default_transaction_read_only = on;
ALTER ROLE :"role" SET statement_timeout = '30s';
COMMIT;
