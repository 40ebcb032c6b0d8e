-- KEYS: 1 a key. Reads it twice in one atomic unit: as DUMP gives it, and element by element.
-- Nothing for a value that is too large, or of another type than can be compared.
local kind = redis.call('TYPE', KEYS[1]).ok
if not SIZE[kind] or kind == 'stream' or is_large(kind, measure(kind, KEYS[1])) then return {kind, '', {}} end
return {kind, redis.call('DUMP', KEYS[1]), kind == 'string' and {redis.call('GET', KEYS[1])} or flat(kind, KEYS[1])}
