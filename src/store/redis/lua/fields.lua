-- KEYS: keys. ARGV: 4 the field, 5 its new name, or nothing to remove it.
local answers = {}
for k = FIRST, #KEYS do
  local kind = redis.call('TYPE', KEYS[k]).ok
  local answer = 'done'
  if kind == 'none' then
    answer = 'gone'
  elseif kind ~= 'hash' then
    answer = 'refused'
  else
    local value = redis.call('HGET', KEYS[k], ARGV[4])
    if value and ARGV[5] == '' then
      redis.call('HDEL', KEYS[k], ARGV[4])
      answer = 'written'
    elseif value and redis.call('HEXISTS', KEYS[k], ARGV[5]) == 1 then
      answer = 'refused'
    elseif value then
      put(KEYS[k], {ARGV[5], value}, nil, ARGV[4])
      redis.call('HDEL', KEYS[k], ARGV[4])
      answer = 'written'
    end
  end
  answers[#answers + 1] = answer
end
return answers
