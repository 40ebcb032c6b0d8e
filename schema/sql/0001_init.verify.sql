-- Reads the catalog only. deliveries is called attempts from 0005 on. Each query names what is wrong.

select format('%s is not a table partitioned by range of time', want.names)
from (values ('events', to_regclass('events')),
             ('deliveries (attempts)', coalesce(to_regclass('attempts'), to_regclass('deliveries')))
     ) as want (names, rel)
where not exists (
    select from pg_partitioned_table p
    where p.partrelid = want.rel and pg_get_partkeydef(p.partrelid) = 'RANGE ("time")');

select format('%s has no default partition, so a row outside the other partitions would be refused', want.names)
from (values ('events', to_regclass('events')),
             ('deliveries (attempts)', coalesce(to_regclass('attempts'), to_regclass('deliveries')))
     ) as want (names, rel)
where not exists (
    select from pg_partitioned_table p where p.partrelid = want.rel and p.partdefid <> 0);

select format('%s has not the primary key (time, id)', want.names)
from (values ('events', to_regclass('events')),
             ('deliveries (attempts)', coalesce(to_regclass('attempts'), to_regclass('deliveries')))
     ) as want (names, rel)
where not exists (
    select from pg_constraint k
    where k.conrelid = want.rel and pg_get_constraintdef(k.oid) = 'PRIMARY KEY ("time", id)');
