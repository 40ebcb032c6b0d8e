-- Reads the catalog only. deliveries is called attempts from 0005 on, and response_data is text from 0009
-- on.

select format('deliveries (attempts) has no column %s of type %s', want.name, want.types)
from (values ('code', '{text}'::text[]),
             ('response_data', '{jsonb,text}')
     ) as want (name, types)
where not exists (
    select from pg_attribute a
    where a.attrelid = coalesce(to_regclass('attempts'), to_regclass('deliveries'))
      and a.attname = want.name and not a.attisdropped
      and format_type(a.atttypid, a.atttypmod) = any (want.types));
