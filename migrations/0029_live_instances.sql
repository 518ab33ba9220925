-- Recovery walks the instances that have not ended, however many have: a page of a tenant is one range of this index.
create index onboarding_instance_live on onboarding_instance (instance_id, tenant_id) where ended_at is null;
