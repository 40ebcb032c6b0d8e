-- outpost: data_loss = "which deliveries were manual, and the attempt number of each"

lock table deliveries, event_delivery_index in access exclusive mode;

alter table event_delivery_index
    drop column attempt,
    drop column manual;

alter table deliveries
    drop column attempt,
    drop column manual;
