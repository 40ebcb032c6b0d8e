-- outpost: data_loss = "the spelling of responses: spacing, order of keys, all but the last of repeated keys; an empty response becomes null"
--
-- A response that jsonb cannot hold (it is no JSON, or has \u0000 in a string) stops this with the
-- server's message, and nothing is changed: such a response has to be cleared first.

alter table attempts alter column response_data type jsonb using nullif(response_data, '')::jsonb;
