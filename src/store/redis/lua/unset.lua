-- KEYS: keys. ARGV: 5 number of fields, 6... the fields, then each key's values.
-- Removes fields that hold what was set. The last field of a hash stays: without it the key would go.
local fields = tonumber(ARGV[5])
local at = 6 + fields
local answers = {}
for k = FIRST, #KEYS do
  local answer = 'done'
  if redis.call('TYPE', KEYS[k]).ok == 'hash' then
    for f = 0, fields - 1 do
      if redis.call('HGET', KEYS[k], ARGV[6 + f]) == ARGV[at + f] then
        if redis.call('HLEN', KEYS[k]) > 1 then
          redis.call('HDEL', KEYS[k], ARGV[6 + f])
          answer = 'written'
        else
          answer = 'kept'
        end
      end
    end
  end
  answers[#answers + 1] = answer
  at = at + fields
end
return answers
