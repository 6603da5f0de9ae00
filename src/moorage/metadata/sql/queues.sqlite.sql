-- now --
SELECT now_us();
