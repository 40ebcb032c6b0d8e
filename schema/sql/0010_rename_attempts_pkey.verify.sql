-- Reads the catalog only. The primary keys of other partitions may have any name.

select format('the primary key of %s is not called %s_pkey', want.rel, want.rel)
from (values ('attempts'), ('attempts_default')) as want (rel)
where to_regclass(want.rel) is not null
  and not exists (
    select from pg_constraint k
    where k.conrelid = to_regclass(want.rel) and k.contype = 'p' and k.conname = want.rel || '_pkey');

select 'there is no table attempts' where to_regclass('attempts') is null;

select format('index %s still has its old name', old.name)
from (values ('deliveries_pkey'), ('deliveries_default_pkey')) as old (name)
where to_regclass(old.name) is not null;
