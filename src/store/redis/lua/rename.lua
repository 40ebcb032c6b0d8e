-- KEYS: each key and its new name. ARGV: 3 type or nothing.
local answers = {}
for k = FIRST, #KEYS, 2 do
  local kind = redis.call('TYPE', KEYS[k]).ok
  local answer = 'refused'
  if kind == 'none' then
    answer = 'gone'
  elseif (ARGV[3] == '' or kind == ARGV[3]) and redis.call('RENAMENX', KEYS[k], KEYS[k + 1]) == 1 then
    answer = 'written'
  end
  answers[#answers + 1] = answer
end
return answers
