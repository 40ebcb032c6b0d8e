-- outpost: data_loss = "the spelling of payloads: spacing, order of keys, all but the last of repeated keys"
--
-- A payload that jsonb cannot hold (it is no JSON, or has \u0000 in a string) stops this with the
-- server's message, and nothing is changed: such an event has to be deleted or mended first.

lock table events, attempts in access exclusive mode;

alter table attempts alter column event_data type jsonb using event_data::jsonb;
alter table events alter column data type jsonb using data::jsonb;
