-- outpost: description = "Keep event payloads as text, exactly as they were published"
--
-- jsonb forgets the order of keys, repeated keys and spacing, so a payload was signed and delivered in
-- another spelling than the one published. As text it stays as it came; payloads stored before this are
-- spelled as jsonb prints them (a JSON null as null). Both tables are written anew, once.

-- Both locks before the long work on the first.
lock table events, attempts in access exclusive mode;

alter table events alter column data type text using data::text;
alter table attempts alter column event_data type text using event_data::text;
