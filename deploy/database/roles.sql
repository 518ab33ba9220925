-- The database roles of Casestream, the same on a laptop, in Compose and in production.
--
-- Run it as a superuser, connected to Casestream's database, as often as you like; it changes nothing that is right:
--     PGOPTIONS="-c casestream.role_password=SECRET" psql -v ON_ERROR_STOP=1 -d casestream -f deploy/database/roles.sql
-- Without casestream.role_password passwords stay as they are; set each with \password then.
--
--   cs_migrate  owns the database; migrations, table versions. Past row level security, makes the analysts' roles.
--   cs_api      the HTTP door: one tenant per transaction.
--   cs_worker   the processors: the tenants of one batch.
--   cs_scan     finds and claims across tenants: outbox, timers, effects, leases.

do $roles$
declare
    secret text := nullif(current_setting('casestream.role_password', true), '');
    member text;
begin
    foreach member in array array['cs_migrate', 'cs_api', 'cs_worker', 'cs_scan'] loop
        if not exists (select from pg_roles where rolname = member) then
            execute format('create role %I', member);
        end if;
        if secret is not null then
            execute format('alter role %I password %L', member, secret);
        end if;
    end loop;
    execute format('alter database %I owner to cs_migrate', current_database());
end
$roles$;

alter role cs_migrate login nosuperuser nocreatedb createrole bypassrls;
alter role cs_api login nosuperuser nocreatedb nocreaterole nobypassrls;
alter role cs_worker login nosuperuser nocreatedb nocreaterole nobypassrls;
alter role cs_scan login nosuperuser nocreatedb nocreaterole nobypassrls;

-- A process that stops in the middle of a transaction holds locks, and every relay shard's floor, until the server
-- gives up on it. These bounds keep that below the time in which the system is to be live again (P5). Not for
-- cs_migrate, whose statements may be long, and not for analysts.
do $bounds$
declare
    member text;
begin
    foreach member in array array['cs_api', 'cs_worker', 'cs_scan'] loop
        execute format('alter role %I set idle_in_transaction_session_timeout = ''4s''', member);
        execute format('alter role %I set statement_timeout = ''5s''', member);
        execute format('alter role %I set transaction_timeout = ''8s''', member);
        execute format('alter role %I set tcp_user_timeout = ''5s''', member);
        execute format('alter role %I set client_connection_check_interval = ''1s''', member);
    end loop;
end
$bounds$;
