-- KEYS: first the marker of earlier tools. ARGV: 3 what becomes of it, 4 its time, 5 its reason.
local marker = KEYS[FIRST]
redis.call('DEL', marker)
if ARGV[3] == 'applied' then
  redis.call('HSET', marker, 'status', 'applied', 'applied_at', ARGV[4])
elseif ARGV[3] == 'not_applicable' then
  redis.call('HSET', marker, 'status', 'not_applicable', 'checked_at', ARGV[4], 'reason', ARGV[5])
end
return 1
