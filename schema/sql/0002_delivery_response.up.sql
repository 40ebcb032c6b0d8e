-- outpost: description = "Keep the response of a destination with its delivery"
--
-- A failed delivery is of little use without what the destination answered. Deliveries made before this
-- have no answer on record, hence null. Both columns are added without touching a row.

alter table deliveries
    add column code text,
    add column response_data jsonb;
