-- Reads the catalog only: a column has one type, so a single catalog row speaks for all rows of the
-- table. That each old payload is JSON follows from the type it had; new ones are the application's.

select format('%s.%s is missing, or not of type text not null', want.rel, want.name)
from (values ('events', 'data'), ('attempts', 'event_data')) as want (rel, name)
where not exists (
    select from pg_attribute a
    where a.attrelid = to_regclass(want.rel) and a.attname = want.name and not a.attisdropped
      and a.attnotnull and format_type(a.atttypid, a.atttypmod) = 'text');
