-- outpost: data_loss = "deliveries.code and deliveries.response_data: what each destination answered"

alter table deliveries
    drop column response_data,
    drop column code;
