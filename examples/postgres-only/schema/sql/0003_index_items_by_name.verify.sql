-- A failed build leaves an index behind that is not valid.
SELECT 'items_name_idx is missing or not valid'
WHERE NOT EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass('items_name_idx') AND indisvalid);
