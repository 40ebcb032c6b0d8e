-- outpost: data_loss = "every event and every delivery"
--
-- Partitions that an operator attached belong to their table and go with it.

drop table deliveries;
drop table events;
