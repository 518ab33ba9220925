-- Paths of an entity type whose values nobody is shown: traces and explanations of rules leave them out, and so do previews.
alter table entity_types add column sensitive_fields text[] not null default '{}';
