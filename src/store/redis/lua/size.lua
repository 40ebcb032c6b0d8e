-- How many elements a key has (bytes, for a string), by its type; 1 for a type that has no such measure.
local SIZE = {string = 'STRLEN', hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local function measure(kind, key)
  return SIZE[kind] and redis.pcall(SIZE[kind], key) or 1
end
-- What is copied in one go: more would hold the server for longer than a few milliseconds.
local function is_large(kind, size)
  return kind ~= 'stream' and size > (kind == 'string' and 1048576 or 2000)
end
