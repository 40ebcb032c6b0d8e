-- outpost: data_loss = "index rows whose event or delivery no longer exists; all others are made again by 0003"
--
-- Partitions that an operator attached belong to the table and go with it.

drop table event_delivery_index;
