-- Whether two keys hold the same, element by element. DUMP is no proof of a difference: it shows the
-- encoding too. Values too large to compare at once, and other types, count as different.
local LARGEST = 10000
local function equal(a, b)
  local kind = redis.call('TYPE', a).ok
  if not SIZE[kind] or redis.call('TYPE', b).ok ~= kind then return false end
  local size = redis.call(SIZE[kind], a)
  if redis.call(SIZE[kind], b) ~= size then return false end
  if kind == 'string' then return redis.call('GET', a) == redis.call('GET', b) end
  if size > LARGEST then return false end
  local left, right = flat(kind, a), flat(kind, b)
  if kind == 'hash' or kind == 'set' then
    local step, known = kind == 'hash' and 2 or 1, {}
    for i = 1, #left, step do known[left[i]] = left[i + step - 1] end
    for i = 1, #right, step do
      if known[right[i]] ~= right[i + step - 1] then return false end
    end
    return true
  end
  for i = 1, #left do
    if left[i] ~= right[i] then return false end
  end
  return true
end
