-- outpost: description = "Count the attempts of a delivery and mark the manual ones"
--
-- A retry asked for by hand has to be told from an automatic one, and the how-manieth it was. What was
-- delivered before counts as automatic and first (0). The defaults are constants: no row is touched.

lock table deliveries, event_delivery_index in access exclusive mode;

alter table deliveries
    add column manual boolean not null default false,
    add column attempt integer not null default 0;

alter table event_delivery_index
    add column manual boolean not null default false,
    add column attempt integer not null default 0;
