-- The roles of the keys database, the same on a laptop, in Compose and in production.
--
-- Run it as a superuser, connected to the keys database, as often as you like; it changes nothing that is right:
--     PGOPTIONS="-c casestream.role_password=SECRET" psql -v ON_ERROR_STOP=1 -d casestream_keys -f deploy/database/keys.sql
-- Without casestream.role_password passwords stay as they are; set each with \password then.
--
--   cs_migrate  owns the database; its migrations.
--   cs_keys     every process that encrypts or decrypts: reads, adds, wraps anew and destroys data keys; never a row of the ledger.

do $roles$
declare
    secret text := nullif(current_setting('casestream.role_password', true), '');
    member text;
begin
    foreach member in array array['cs_migrate', 'cs_keys'] loop
        if not exists (select from pg_roles where rolname = member) then
            execute format('create role %I login nosuperuser nocreatedb', member);
        end if;
        if secret is not null then
            execute format('alter role %I password %L', member, secret);
        end if;
    end loop;
    execute format('alter database %I owner to cs_migrate', current_database());
    -- No other role gets in, not even to look: a fault in the main database's roles reaches no key.
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to cs_keys', current_database());
end
$roles$;

alter role cs_keys login nosuperuser nocreatedb nocreaterole nobypassrls;
alter role cs_keys set idle_in_transaction_session_timeout = '4s';
alter role cs_keys set statement_timeout = '5s';
alter role cs_keys set transaction_timeout = '8s';
alter role cs_keys set tcp_user_timeout = '5s';
alter role cs_keys set client_connection_check_interval = '1s';
