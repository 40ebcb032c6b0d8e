-- Every object of the schema: its kind and name, its definition, whether it belongs to a partition, and the
-- relation that it is on, if any.
-- Run with search_path = pg_catalog, so that every name is qualified. Physical column order and anything
-- that an INSERT changes are left out. $golang is the oid of golang-migrate's table, or 0.
with
space as (
  select oid, nspname from pg_namespace
  where left(nspname, 3) <> 'pg_' and nspname not in ('information_schema', 'outpost')
),
member as (select classid, objid from pg_depend where deptype = 'e'),
relation as (
  select c.oid, c.relname, c.relkind, c.relispartition, c.relpersistence, c.reloptions,
         c.relrowsecurity, c.relforcerowsecurity, s.nspname, format('%I.%I', s.nspname, c.relname) as name
  from pg_class c join space s on s.oid = c.relnamespace
  where c.oid <> $golang and c.relpersistence <> 't'
    and not exists (select from member m where m.classid = 'pg_class'::regclass and m.objid = c.oid)
),
columns as (
  select a.attrelid, jsonb_object_agg(a.attname, jsonb_strip_nulls(jsonb_build_object(
    'type', format_type(a.atttypid, a.atttypmod),
    'not_null', a.attnotnull,
    'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end,
    'generated', case when a.attgenerated <> '' then a.attgenerated::text || ' ' || pg_get_expr(d.adbin, d.adrelid) end,
    'identity', nullif(a.attidentity::text, ''),
    'collation', case when a.attcollation <> t.typcollation then
      (select format('%I.%I', n.nspname, o.collname) from pg_collation o
        join pg_namespace n on n.oid = o.collnamespace where o.oid = a.attcollation) end
  ))) as list
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped
    and a.attrelid in (select oid from relation where relkind in ('r', 'p', 'f', 'c'))
  group by a.attrelid
)

select case r.relkind when 'f' then 'foreign table ' else 'table ' end || r.name,
  jsonb_strip_nulls(jsonb_build_object(
    'kind', r.relkind, 'persistence', r.relpersistence, 'options', to_jsonb(r.reloptions),
    'row_security', r.relrowsecurity, 'forced_row_security', r.relforcerowsecurity,
    'partition_key', case when r.relkind = 'p' then pg_get_partkeydef(r.oid) end,
    'parents', (select jsonb_agg(format('%I.%I', n.nspname, p.relname) order by i.inhseqno)
      from pg_inherits i join pg_class p on p.oid = i.inhparent
      join pg_namespace n on n.oid = p.relnamespace where i.inhrelid = r.oid),
    'bound', case when r.relispartition then
      (select pg_get_expr(b.relpartbound, b.oid) from pg_class b where b.oid = r.oid) end,
    'server', (select v.srvname from pg_foreign_table f join pg_foreign_server v on v.oid = f.ftserver
      where f.ftrelid = r.oid),
    'columns', coalesce(l.list, '{}')))::text,
  r.relispartition, null
from relation r left join columns l on l.attrelid = r.oid where r.relkind in ('r', 'p', 'f')

union all
select 'constraint ' || r.name || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid),
  -- A foreign key to a partitioned table has a copy for each partition.
  r.relispartition or k.conparentid <> 0, r.name
from pg_constraint k join relation r on r.oid = k.conrelid where k.contype <> 'n'

union all
select 'index ' || format('%I.%I', r.nspname, c.relname),
  pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' INVALID' end, r.relispartition, r.name
from pg_index i join relation r on r.oid = i.indrelid join pg_class c on c.oid = i.indexrelid

union all
select case r.relkind when 'v' then 'view ' else 'materialized view ' end || r.name,
  pg_get_viewdef(r.oid) || coalesce(' ' || r.reloptions::text, ''), false, null
from relation r where r.relkind in ('v', 'm')

union all
select 'sequence ' || r.name,
  jsonb_build_object('type', format_type(q.seqtypid, null), 'start', q.seqstart, 'increment', q.seqincrement,
    'min', q.seqmin, 'max', q.seqmax, 'cache', q.seqcache, 'cycle', q.seqcycle)::text, false, null
from relation r join pg_sequence q on q.seqrelid = r.oid
where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'i')

union all
select case p.prokind when 'p' then 'procedure ' when 'a' then 'aggregate ' else 'function ' end
    || format('%I.%I(%s)', s.nspname, p.proname, oidvectortypes(p.proargtypes)),
  case when p.prokind = 'a' then (
    select jsonb_build_object('returns', format_type(p.prorettype, null), 'step', a.aggtransfn::regprocedure::text,
      'final', a.aggfinalfn::oid::regprocedure::text, 'state', format_type(a.aggtranstype, null),
      'initial', a.agginitval)::text
    from pg_aggregate a where a.aggfnoid = p.oid)
  else pg_get_functiondef(p.oid) end, false, null
from pg_proc p join space s on s.oid = p.pronamespace
where not exists (select from member m where m.classid = 'pg_proc'::regclass and m.objid = p.oid)
  -- Functions that come with a range or a multirange type.
  and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')

union all
select 'type ' || format('%I.%I', s.nspname, t.typname),
  case t.typtype
    when 'e' then (select 'enum ' || jsonb_agg(e.enumlabel order by e.enumsortorder)::text
      from pg_enum e where e.enumtypid = t.oid)
    when 'd' then 'domain ' || jsonb_strip_nulls(jsonb_build_object(
      'type', format_type(t.typbasetype, t.typtypmod), 'not_null', t.typnotnull, 'default', t.typdefault,
      'checks', (select jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid))
        from pg_constraint k where k.contypid = t.oid and k.contype <> 'n')))::text
    when 'c' then 'composite ' || coalesce((select l.list::text from columns l where l.attrelid = t.typrelid), '{}')
    when 'r' then 'range ' || (select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid)
    else 'base'
  end, false, null
from pg_type t join space s on s.oid = t.typnamespace
left join pg_class c on c.oid = t.typrelid
where (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and c.relkind = 'c')
    or (t.typtype = 'b' and not exists (select from pg_type e where e.typarray = t.oid)))
  and not exists (select from member m where m.classid = 'pg_type'::regclass and m.objid = t.oid)

union all
select 'trigger ' || r.name || '.' || quote_ident(t.tgname), pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text,
  r.relispartition, r.name
from pg_trigger t join relation r on r.oid = t.tgrelid where not t.tgisinternal

union all
select 'policy ' || r.name || '.' || quote_ident(p.polname),
  jsonb_strip_nulls(jsonb_build_object('command', p.polcmd, 'permissive', p.polpermissive,
    'roles', (select jsonb_agg(coalesce(a.rolname, 'public') order by a.rolname)
      from unnest(p.polroles) as u (oid) left join pg_roles a on a.oid = u.oid),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)))::text,
  r.relispartition, r.name
from pg_policy p join relation r on r.oid = p.polrelid

union all
select 'rule ' || r.name || '.' || quote_ident(w.rulename), pg_get_ruledef(w.oid), r.relispartition, r.name
from pg_rewrite w join relation r on r.oid = w.ev_class where w.rulename <> '_RETURN'

union all
select 'extension ' || quote_ident(e.extname), 'installed', false, null
from pg_extension e where e.extname <> 'plpgsql'

union all
select 'schema ' || quote_ident(s.nspname), 'exists', false, null
from space s
where s.nspname <> 'public'
  and not exists (select from member m where m.classid = 'pg_namespace'::regclass and m.objid = s.oid)
