-- outpost: data_loss = "all prices"

ALTER TABLE items DROP COLUMN price_cents;
