-- KEYS: keys. ARGV: 1 type or nothing, 2 the check, 3 number of arguments of a key, 4... the arguments.
-- Answers the type of each key and whether the check asks for work, 1 or 0. Reads only.
local size = tonumber(ARGV[3])
local answers, there = {}, batch(size)
for k = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[k]).ok
  answers[#answers + 1] = kind
  answers[#answers + 1] = '0'
  if kind ~= 'none' and (ARGV[1] == '' or kind == ARGV[1]) then
    add(there, KEYS[k], k, 3 + (k - 1) * size)
  end
end
local needs, wrong = ask('check', ARGV[2], there)
if not needs then return wrong end
for i = 1, #there.keys do
  if needs[i] then answers[2 * there.at[i]] = '1' end
end
return answers
