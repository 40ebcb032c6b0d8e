-- KEYS: 1 a key. ARGV: 1 its type or nothing. Reads its value, and when it expires in Unix ms (0: never).
local kind = ARGV[1]
if kind == '' then kind = redis.call('TYPE', KEYS[1]).ok end
local size = measure(kind, KEYS[1])
if type(size) == 'table' then return {'refused', '', 0} end
if size > 0 and is_large(kind, size) then return {'large', '', 0} end
local payload = redis.call('DUMP', KEYS[1])
if not payload then return {'gone', '', 0} end
return {'there', payload, expires_at(KEYS[1])}
