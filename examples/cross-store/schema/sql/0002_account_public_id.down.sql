-- outpost: data_loss = "the public ids; new ones would be others"

alter table accounts drop column public_id;
