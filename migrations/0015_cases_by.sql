-- The second indexes of cases must not offer themselves for look-ups by key: while the table has no statistics, an index that
-- leads with the tenant ties with the primary key, and each look-up of a case then reads all cases of its tenant.

drop index cases_by_class;
create index cases_by_class on cases (class_name, tenant_id, case_id);
drop index cases_by_subject;
create index cases_by_subject on cases (subject_id, tenant_id);
