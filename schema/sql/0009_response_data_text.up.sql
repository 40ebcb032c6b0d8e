-- outpost: description = "Keep responses as text, exactly as the destination sent them"
--
-- As with payloads in 0006: jsonb changes the spelling and refuses some answers. No answer stays null; a
-- JSON null becomes the text null. The table is written anew, once.

alter table attempts alter column response_data type text using response_data::text;
