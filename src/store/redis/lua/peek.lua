-- KEYS: 1 a key. ARGV: 1 its type or nothing. Reads its value, and when it expires in Unix ms (0: never).
local kind = ARGV[1]
if kind == '' then kind = redis.call('TYPE', KEYS[1]).ok end
local size = measure(kind, KEYS[1])
if type(size) == 'table' then return {'refused', '', 0} end
if size > 0 and is_large(kind, size) then return {'large', '', 0} end
local payload = redis.call('DUMP', KEYS[1])
if not payload then return {'gone', '', 0} end
local at = redis.pcall('PEXPIRETIME', KEYS[1])
if type(at) == 'table' then
  -- Before Redis 7.0.
  local left, now = redis.call('PTTL', KEYS[1]), redis.call('TIME')
  at = left < 0 and left or now[1] * 1000 + math.floor(now[2] / 1000) + left
end
return {'there', payload, at < 0 and 0 or at}
