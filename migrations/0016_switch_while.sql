-- A switch that a comparison allowed is allowed only while the version serves that was compared with.

alter table ddl_orders add column while_serving integer;
grant insert (while_serving) on ddl_orders to cs_api, cs_worker, cs_scan;
