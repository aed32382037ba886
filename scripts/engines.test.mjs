// @ts-check
import { expect, it } from 'vitest';
import { missingEngines } from './engines.mjs';

const firefox = '/usr/bin/firefox-esr';
const webkit = { driver: '/usr/bin/WebKitWebDriver', browser: '/usr/lib/MiniBrowser', display: '/usr/bin/Xvfb' };

it('says which engines are missing and what to install', () => {
  expect(missingEngines({ firefox, webkit })).toBeUndefined();
  expect(missingEngines({ firefox, webkit: undefined })).toBe(
    'WebKit not found; on Debian: apt-get install --no-install-recommends webkit2gtk-driver xvfb',
  );
  expect(missingEngines({ firefox: undefined, webkit: undefined })).toBe(
    'Firefox and WebKit not found; on Debian: apt-get install --no-install-recommends firefox-esr webkit2gtk-driver xvfb',
  );
});
