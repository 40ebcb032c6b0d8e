-- outpost: data_loss = "attempts.destination_type: the type of destination of each attempt"

drop index idx_attempts_tenant_desttype_time;

alter table attempts drop column destination_type;
