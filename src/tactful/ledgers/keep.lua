-- Keeps histories for a while.
--
-- KEYS         recipients, each under its edition
-- ARGV[1]      for how many ms
-- ARGV[n + 1]  the history of the nth key

for number = 1, #KEYS do
  redis.call('SET', KEYS[number], ARGV[number + 1], 'PX', ARGV[1])
end
return ''
