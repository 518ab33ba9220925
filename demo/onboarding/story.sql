-- name: count_ended$
select count(*) from onboarding_instance where tenant_id = :tenant_id and instance_id = any (:ids::text[]) and ended_at is not null;

-- name: list_ends
-- How journeys ended.
select user_id, status from onboarding_instance where tenant_id = :tenant_id and instance_id = any (:ids::text[]);

-- name: count_incidents$
-- Incidents of these journeys that are still open.
select count(*) from incidents
where tenant_id = :tenant_id and object_type = 'onboarding' and object_id = any (:ids::text[]) and resolved_at is null;

-- name: list_rows
-- What analysts see of these journeys, by flow and state.
select flow, flow_state, count(*) as rows
from (select case_id, tenant_id, flow, flow_state from analytics.case_plain_customer_onboarding
      union all select case_id, tenant_id, flow, flow_state from analytics.case_plain_card_onboarding
      union all select case_id, tenant_id, flow, flow_state from analytics.case_plain_loan_application) seen
where tenant_id = :tenant_id and case_id = any (:ids::text[])
group by 1, 2;
