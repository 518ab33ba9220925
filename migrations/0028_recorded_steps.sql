-- What a step came to, as one statement: one round trip and one commit per step (domain/onboarding/recording.py, decision 0026).
-- Under row level security a transaction names its tenants before its statements; a function names them for its own.

-- Where decisions left instances, with their events and attempts; how many instances were at the loaded version. When not all
-- were, the caller writes nothing else.
create function write_histories(p_instances jsonb, p_events jsonb, p_begun jsonb, p_ended jsonb) returns bigint
language plpgsql as $$
declare
    moved bigint;
begin
    update onboarding_instance o
    set flow_version = i.flow_version, status = i.status, current_state = i.current_state, version = i.version,
        cycle = i.cycle, folded = i.folded, entered_at = i.entered_at, expires_at = i.expires_at, ended_at = i.ended_at
    from jsonb_to_recordset(p_instances)
         as i (tenant_id text, instance_id text, loaded bigint, flow_version integer, status text, current_state text,
               version bigint, cycle bigint, folded text, entered_at timestamptz, expires_at timestamptz, ended_at timestamptz)
    where o.tenant_id = i.tenant_id and o.instance_id = i.instance_id and o.version = i.loaded
      and o.instance_id = any (array(select x ->> 'instance_id' from jsonb_array_elements(p_instances) x));
    get diagnostics moved = row_count;
    if moved < jsonb_array_length(p_instances) then
        return moved;
    end if;
    insert into workflow_event
        (tenant_id, instance_id, sequence_number, event_type, payload, data, cause, created_at)
    select e.tenant_id, e.instance_id, e.sequence_number, e.event_type, e.payload, decode(e.data, 'base64'), e.cause,
           e.created_at
    from jsonb_to_recordset(p_events)
         as e (tenant_id text, instance_id text, sequence_number bigint, event_type text, payload text, data text, cause text,
               created_at timestamptz);
    insert into step_execution
        (tenant_id, instance_id, step, attempt, state, action, handler, undoes, status, code, result, due_at, started_at,
         ended_at)
    select s.tenant_id, s.instance_id, s.step, s.attempt, s.state, s.action, s.handler, s.undoes, s.status, s.code, s.result,
           s.due_at, s.started_at, s.ended_at
    from jsonb_to_recordset(p_begun)
         as s (tenant_id text, instance_id text, step bigint, attempt bigint, state text, action text, handler text,
               undoes bigint, status text, code text, result bigint, due_at timestamptz, started_at timestamptz,
               ended_at timestamptz);
    update step_execution x
    set status = s.status, code = coalesce(s.code, x.code), result = coalesce(s.result, x.result),
        ended_at = coalesce(s.ended_at, x.ended_at)
    from jsonb_to_recordset(p_ended)
         as s (tenant_id text, instance_id text, step bigint, attempt bigint, status text, code text, result bigint,
               ended_at timestamptz)
    where x.tenant_id = s.tenant_id and x.instance_id = s.instance_id and x.step = s.step and x.attempt = s.attempt
      and x.instance_id = any (array(select y ->> 'instance_id' from jsonb_array_elements(p_ended) y));
    return moved;
end $$;

-- What is known of persons by now, sealed.
create function write_cases(p_cases jsonb) returns void
language plpgsql as $$
begin
    insert into flw_case as c (tenant_id, case_id, version, subject_id, case_data)
    select n.tenant_id, n.instance_id, n.version, n.subject_id, decode(n.data, 'base64')
    from jsonb_to_recordset(p_cases) as n (tenant_id text, instance_id text, version bigint, subject_id text, data text)
    order by n.tenant_id, n.instance_id
    on conflict (tenant_id, case_id) do update
    set version = excluded.version, case_data = excluded.case_data, updated_at = cs_now();
end $$;

-- Instances of a tenant as they stand, without a lock: whoever decides on them writes only where the version is still the same.
create function read_instances(p_tenant text, p_ids text[])
returns table (instance_id text, folded text, case_version bigint, case_data bytea, now timestamptz)
language plpgsql as $$
begin
    perform set_config('app.tenants', array[p_tenant]::text, true);
    return query
        select o.instance_id, o.folded, c.version, c.case_data, cs_now()
        from unnest(p_ids) as w (id)
        join onboarding_instance o on o.tenant_id = p_tenant and o.instance_id = w.id
        left join flw_case c on c.tenant_id = o.tenant_id and c.case_id = o.instance_id
        where o.instance_id = any (p_ids);
end $$;

-- Calls of one tenant that ended, each of another instance, and everything that follows from them: all of it or nothing.
--   1. hold the buckets of the subjects whose words are touched, as domain/keys/guard.py does;
--   2. lock the instances, in order, where they are at the version that was decided on, then the calls, where their lease is still
--      the caller's; `stale` names the instances of which that is not so, or whose subject is shredded: then nothing is written;
--   3. write calls, histories, cases, outbox events, the next calls and timers.
-- Each statement below sees what the one before it waited for, which only a read committed transaction does.
create function record_steps(
    p_tenant text, p_space integer, p_buckets integer[], p_subjects text[],
    p_calls jsonb, p_instances jsonb, p_events jsonb, p_begun jsonb, p_ended jsonb, p_cases jsonb, p_outbox jsonb,
    p_planned jsonb, p_armed jsonb, p_disarmed text[], p_owner text, p_life double precision,
    out stale text[], out planned uuid[], out now timestamptz)
language plpgsql as $$
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'record_steps: expected a read committed transaction, whose statements see what was committed last';
    end if;
    now := cs_now();
    perform set_config('app.tenants', array[p_tenant]::text, true);
    perform pg_advisory_xact_lock_shared(p_space, bucket) from unnest(p_buckets) as bucket;
    with called as materialized (
        select * from jsonb_to_recordset(p_calls)
            as c (instance_id text, user_id text, loaded bigint, effect_id uuid, term bigint)
        order by instance_id
    ), held as materialized (
        select c.instance_id, c.effect_id, c.term
        from called c
        cross join lateral (select from onboarding_instance o where o.tenant_id = p_tenant and o.instance_id = c.instance_id
                              and o.version = c.loaded for update) o
    ), leased as materialized (
        select h.instance_id
        from held h
        cross join lateral (select from effects e where e.tenant_id = p_tenant and e.effect_id = h.effect_id
                              and e.lease_term = h.term and e.state || '' = 'leased' for update) e
    )
    select coalesce(array_agg(c.instance_id), '{}') into stale
    from called c
    where c.instance_id not in (select l.instance_id from leased l)
       or (cardinality(p_subjects) > 0 and c.user_id in (select s.subject_id from shredded_subjects s
                                                         where s.tenant_id = p_tenant and s.subject_id = any (p_subjects)));
    if cardinality(stale) > 0 then
        return;
    end if;
    update effects e
    set state = c.result, code = c.code, fingerprint = c.fingerprint, detail = decode(c.detail, 'base64'),
        failures = e.failures + (c.result = 'failed')::integer, finished_at = cs_now(), lease_owner = '', position = null
    from jsonb_to_recordset(p_calls) as c (effect_id uuid, result text, code text, fingerprint text, detail text)
    where e.tenant_id = p_tenant and e.effect_id = c.effect_id
      and e.effect_id = any (array(select (x ->> 'effect_id')::uuid from jsonb_array_elements(p_calls) x));
    if write_histories(p_instances, p_events, p_begun, p_ended) < jsonb_array_length(p_instances) then
        raise exception 'record_steps: expected instances to stay as they were locked';
    end if;
    if jsonb_array_length(p_cases) > 0 then
        perform write_cases(p_cases);
    end if;
    insert into outbox_events
        (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload,
         occurred_at, created_by, traceparent)
    select o.event_id, o.tenant_id, o.shard, o.aggregate, o.aggregate_id, o.sequence, o.topic, decode(o.key, 'base64'),
           o.event_type, decode(o.headers, 'base64'), decode(o.payload, 'base64'), o.occurred_at, o.created_by, o.traceparent
    from rows from (jsonb_to_recordset(p_outbox)
         as (event_id uuid, tenant_id text, shard smallint, aggregate text, aggregate_id text, sequence bigint, topic text,
             key text, event_type text, headers text, payload text, occurred_at timestamptz, created_by text,
             traceparent text)) with ordinality
         as o (event_id, tenant_id, shard, aggregate, aggregate_id, sequence, topic, key, event_type, headers, payload,
               occurred_at, created_by, traceparent, place)
    order by o.place;
    with made as (
        insert into effects
            (tenant_id, effect_id, owner_kind, owner_id, action_index, occurrence, kind, endpoint, request, subject_id, retries,
             delay_seconds, backoff, is_async, state, due_at, attempt, lease_owner, lease_term, lease_expires_at)
        select p_tenant, n.effect_id, n.owner_kind, n.owner_id, n.action_index, n.occurrence, n.kind, n.endpoint,
               decode(n.request, 'base64'), n.subject_id, n.retries, n.delay_seconds, n.backoff, n.is_async,
               case when n.leased then 'leased' else 'due' end, cs_now(), n.leased::integer,
               case when n.leased then p_owner else '' end, n.leased::integer,
               case when n.leased then cs_now() + make_interval(secs => p_life) else '-infinity' end
        from jsonb_to_recordset(p_planned)
             as n (effect_id uuid, owner_kind text, owner_id text, action_index integer, occurrence text, kind text,
                   endpoint text, request text, subject_id text, retries integer, delay_seconds double precision,
                   backoff text, is_async boolean, leased boolean)
        on conflict (tenant_id, effect_id) do nothing
        returning effect_id
    )
    select coalesce(array_agg(effect_id), '{}') into planned from made;
    if cardinality(p_disarmed) > 0 then
        with held as materialized (
            select w.timer_key
            from (select * from unnest(p_disarmed) as d (timer_key) order by timer_key) w
            cross join lateral (select from timers h where h.tenant_id = p_tenant and h.timer_key = w.timer_key
                                  and h.state = 'armed' for update) h
        )
        update timers t set state = 'canceled', ended_at = cs_now()
        from held
        where t.tenant_id = p_tenant and t.timer_key = held.timer_key
          and t.timer_key = any (array(select timer_key from held));
    end if;
    if jsonb_array_length(p_armed) > 0 then
        insert into timers as t (tenant_id, timer_key, kind, due_at, command, entry)
        select p_tenant, n.timer_key, n.kind, n.due_at, n.command, n.entry
        from jsonb_to_recordset(p_armed)
             as n (timer_key text, kind text, due_at timestamptz, command jsonb, entry bigint)
        order by n.timer_key
        on conflict (tenant_id, timer_key) do update
        set kind = excluded.kind, due_at = excluded.due_at, command = excluded.command, entry = excluded.entry,
            state = 'armed', armed_at = cs_now(), ended_at = null
        where t.entry < excluded.entry or (t.entry = excluded.entry and t.state = 'armed');
    end if;
end $$;

revoke all on function write_histories(jsonb, jsonb, jsonb, jsonb), write_cases(jsonb), read_instances(text, text[]),
    record_steps(text, integer, integer[], text[], jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, text[], text,
                 double precision) from public;
grant execute on function write_histories(jsonb, jsonb, jsonb, jsonb), write_cases(jsonb) to cs_api, cs_worker;
grant execute on function read_instances(text, text[]),
    record_steps(text, integer, integer[], text[], jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, jsonb, text[], text,
                 double precision) to cs_worker;
