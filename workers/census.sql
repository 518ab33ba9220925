-- name: count_open_incidents
select kind, count(*) as open from incidents where state = 'open' group by kind;

-- name: count_stopped_groups$
select count(*) from consumer_groups where state = 'stopped';
