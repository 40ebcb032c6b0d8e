-- Reads the catalog only: a column has one type, so a single catalog row speaks for all rows.

select 'attempts has no column response_data of type text'
where not exists (
    select from pg_attribute a
    where a.attrelid = to_regclass('attempts') and a.attname = 'response_data' and not a.attisdropped
      and format_type(a.atttypid, a.atttypmod) = 'text');
