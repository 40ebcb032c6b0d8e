-- outpost: data_loss = "all items"

DROP TABLE items;
