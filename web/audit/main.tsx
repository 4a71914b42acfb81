import { render } from 'preact';
import '../ui/tokens.css';
import '../ui/controls.css';
import './audit.css';
import { applyTheme } from '../ui/theme.js';
import { App } from './App.js';

applyTheme();
const root = document.getElementById('app');
if (root) render(<App />, root);
