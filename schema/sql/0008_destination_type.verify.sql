-- Reads the catalog only.

select 'attempts has no column destination_type of type text not null'
where not exists (
    select from pg_attribute a
    where a.attrelid = to_regclass('attempts') and a.attname = 'destination_type' and not a.attisdropped
      and a.attnotnull and format_type(a.atttypid, a.atttypmod) = 'text');

select 'attempts lacks its valid index idx_attempts_tenant_desttype_time'
where not exists (
    select from pg_index i
    where i.indexrelid = to_regclass('idx_attempts_tenant_desttype_time')
      and i.indrelid = to_regclass('attempts') and i.indisvalid);
