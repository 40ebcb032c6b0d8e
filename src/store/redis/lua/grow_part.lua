-- KEYS: where a value grows in parts. ARGV: 3 its type, or nothing to begin anew, 4 ms to live, 5... elements.
local part = KEYS[FIRST]
if ARGV[3] == '' then return redis.call('UNLINK', part) end
local PUT = {hash = 'HSET', set = 'SADD', list = 'RPUSH', string = 'APPEND'}
if ARGV[3] == 'zset' then
  -- ZSCAN gives the member first, ZADD takes the score first.
  for i = 5, #ARGV, 2 do redis.call('ZADD', part, ARGV[i + 1], ARGV[i]) end
else
  for from = 5, #ARGV, 1000 do
    redis.call(PUT[ARGV[3]], part, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
end
-- What a crash leaves behind goes by itself.
return redis.call('PEXPIRE', part, ARGV[4])
