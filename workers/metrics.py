"""What the leased jobs tell Prometheus. Whoever leads a job reports for the whole system."""

from prometheus_client import Counter, Gauge

leader = Gauge("worker_leader", "1 while this process holds the job's lease.", ["job"])
rounds = Counter("worker_rounds_total", "Rounds of the leased jobs, by result.", ["job", "result"])
deleted = Counter("housekeeping_deleted_rows_total", "Expired rows that were removed.", ["table"])
disagreements = Gauge("coupling_disagreements", "Coupled pairs that disagreed in the last round.")
failed_tenants = Gauge("coupling_failed_tenants", "Tenants whose coupled pairs could not be looked at in the last round.")
incidents_open = Gauge("incidents_open", "Open incidents, by kind.", ["kind"])
groups_stopped = Gauge("consumer_groups_stopped", "Groups that are stopped, by themselves or by an operator.")
audit_links = Counter("audit_links_total", "Entries of the audit log that were linked to their tenant's chain.")
audit_heads = Counter("audit_heads_signed_total", "Heads of audit chains that were signed and published.")
timers_fired = Counter("timers_fired_total", "Timers that came to their end, by kind and result.", ["kind", "result"])
recoveries = Counter("onboarding_recoveries_total", "Stuck instances that the scan took up again, by cause.", ["cause"])
recoveries_last_hour = Gauge("onboarding_recoveries_last_hour", "RECOVERY events of the last hour, by tenant.", ["tenant_id"])
