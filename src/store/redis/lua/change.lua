-- Carries out changes of one key. A field that comes out of others gets the time to live that they had
-- (Redis 7.4, Valkey 9); answers false, and changes nothing, where they had different ones.
local function life(key, field)
  if ARGV[3] ~= '1' then return -1 end
  return redis.call('HPEXPIRETIME', key, 'FIELDS', 1, field)[1]
end
local function change(key, first, last)
  local gone, at = {}, nil
  for i = first, last, 3 do
    if ARGV[i + 1] ~= '' and ARGV[i + 2] == '' then
      local own = life(key, ARGV[i])
      if at and own ~= at then return false end
      at = own
      gone[#gone + 1] = ARGV[i]
    end
  end
  -- First what comes: a hash without a field would be gone.
  for i = first, last, 3 do
    local old, new = ARGV[i + 1], ARGV[i + 2]
    if new ~= '' and new ~= old then
      set(key, ARGV[i], string.sub(new, 2), old == '' and gone[1] or nil)
    end
  end
  for i = 1, #gone do redis.call('HDEL', key, gone[i]) end
  return true
end
